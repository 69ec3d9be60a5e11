//! Writes the OpenAPI document to standard output: `cargo run --example openapi > public/openapi.json`.

fn main() {
    print!(
        "{}",
        celaest_core::http::openapi::document(celaest_core::router::describe)
    );
}
