//! Puts the contract, the SDK and the templates of new plugins into the program, so that an author needs nothing else.
#![expect(clippy::disallowed_methods, reason = "Cargo tells a build script where things are by its environment")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// What is embedded, and under which name. `include_str!` needs one line for each file, and nobody keeps such a list.
const FOLDERS: [(&str, &str); 3] = [("CONTRACT", "../wit"), ("SDK", "../plugin-sdk"), ("TEMPLATES", "templates")];

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("Cargo says where the crate is"));
    let mut code = String::new();
    for (name, folder) in FOLDERS {
        println!("cargo::rerun-if-changed={folder}");
        let folder = here.join(folder);
        let mut files = Vec::new();
        collect(&folder, &mut files);
        files.sort();
        writeln!(code, "pub const {name}: &[(&str, &str)] = &[").expect("a String takes everything");
        for file in files {
            let inside = file.strip_prefix(&folder).expect("it was found there");
            writeln!(code, "    ({inside:?}, include_str!({file:?})),").expect("a String takes everything");
        }
        code.push_str("];\n");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo says where to write"));
    fs::write(out.join("embedded.rs"), code).expect("the build folder can be written to");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        match (path.is_dir(), name.to_str()) {
            // What other tools leave behind.
            (_, Some("target" | "node_modules" | "__pycache__" | "Cargo.lock")) => {}
            (true, _) => collect(&path, files),
            (false, _) => files.push(path),
        }
    }
}
