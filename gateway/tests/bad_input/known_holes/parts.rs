//! Libraries: the versions that are built in, by the lock file. Advisories that are in no database that
//! a tool asks are held here.

use std::path::Path;

/// The first version without the hole, of libraries that we have or may get.
const MENDED: &[(&str, &str, (u64, u64, u64))] = &[
    ("CVE-2023-43669", "tungstenite", (0, 20, 1)),
    ("CVE-2026-25537", "jsonwebtoken", (10, 3, 0)),
    ("RUSTSEC-2023-0034", "h2", (0, 3, 17)),
    ("RUSTSEC-2024-0003", "h2", (0, 4, 2)),
    ("RUSTSEC-2024-0332", "h2", (0, 4, 4)),
    ("RUSTSEC-2024-0376", "tonic", (0, 12, 3)),
    ("RUSTSEC-2024-0399", "rustls", (0, 23, 18)),
];

/// Libraries whose holes nobody mends.
const NEVER: &[(&str, &str)] =
    &[("RUSTSEC-2023-0071", "rsa"), ("RUSTSEC-2022-0035", "websocket"), ("RUSTSEC-2020-0043", "ws")];

fn built_in() -> Vec<(String, (u64, u64, u64))> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("Cargo.lock");
    let lock: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let text = |package: &toml::Value, key: &str| package[key].as_str().unwrap().to_owned();
    let version = |text: String| {
        let mut numbers = text.split(['.', '-', '+']).map(|number| number.parse().unwrap_or(0));
        (numbers.next().unwrap(), numbers.next().unwrap(), numbers.next().unwrap())
    };
    let packages = lock["package"].as_array().unwrap().iter();
    packages.map(|package| (text(package, "name"), version(text(package, "version")))).collect()
}

#[test]
fn no_library_is_older_than_its_mended_version() {
    let built_in = built_in();
    assert!(built_in.iter().any(|(name, _)| name == "tungstenite"), "the lock file is read");
    for (advisory, library, mended) in MENDED {
        for (_, version) in built_in.iter().filter(|(name, _)| name == library) {
            assert!(version >= mended, "{advisory}: {library} {version:?}");
        }
    }
}

#[test]
fn no_library_is_one_that_nobody_mends() {
    for (advisory, library) in NEVER {
        assert!(built_in().iter().all(|(name, _)| name != library), "{advisory}: {library}");
    }
}
