//! Compiles the schemas with protox, so that nothing but cargo is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let schemas = ["schema/envelope.proto"];
    let files = protox::compile(schemas, ["schema"])?;
    prost_build::Config::new().bytes(["."]).btree_map(["."]).compile_fds(files)?;
    println!("cargo::rerun-if-changed=schema");
    Ok(())
}
