//! Tables and decisions cross threads.

fn is_shared<T: Send + Sync + 'static>() {}
fn is_sent<T: Send + Sync>() {}

#[test]
fn tables_and_decisions_are_send_and_sync() {
    is_shared::<gatewright::Table>();
    is_shared::<gatewright::Compiled>();
    is_shared::<gatewright::Resources>();
    is_shared::<gatewright::Diagnostic>();
    is_shared::<gatewright::report::DecisionReport>();
    is_shared::<gatewright::explain::Explanation>();
    is_sent::<gatewright::Decision<'_>>();
    is_sent::<gatewright::Request<'_>>();
}
