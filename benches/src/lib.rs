//! What the engine costs, beside the least that it could cost and beside other routers: see `README.md`.

pub mod contender;
pub mod engine;
pub mod floor;
pub mod machine;
pub mod measure;
pub mod peers;
pub mod plain;
pub mod precedence;
pub mod residual;
pub mod results;
pub mod tables;
