//! Tells the linker that the symbols of Node-API are those of the process that loads the library.

fn main() {
    #[cfg(not(target_family = "wasm"))]
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family != "wasm") {
        napi_build::setup();
    }
}
