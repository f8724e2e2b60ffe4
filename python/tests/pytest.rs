//! Runs the tests of the Python package with the library that was just built, where there is a Python with NumPy and pytest:
//! `GRADLAW_PYTHON` names it, or `python3` has them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The library beside this test, wherever the build was put.
fn library() -> PathBuf {
    let test = env::current_exe().expect("a test knows where it is");
    let folders = test.ancestors().skip(1).take(2);
    let name = format!("{}_native{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
    let mut places = folders.map(|folder| folder.join(&name));
    places.find(|place| place.exists()).expect("the library is built before its tests")
}

#[test]
fn the_package_does_what_its_tests_say() {
    let python = env::var("GRADLAW_PYTHON").unwrap_or_else(|_| "python3".into());
    let has_packages = Command::new(&python).args(["-c", "import numpy, pytest"]).output();
    if !has_packages.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: {python} has no numpy and pytest; GRADLAW_PYTHON names one that has");
        return;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let package = folder.path().join("gradlaw");
    fs::create_dir(&package).expect("a folder");
    for entry in fs::read_dir(source.join("gradlaw")).expect("the package is there") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            fs::copy(&path, package.join(path.file_name().expect("a name"))).expect("a copy");
        }
    }
    let suffix = if cfg!(windows) { "pyd" } else { "abi3.so" };
    fs::copy(library(), package.join(format!("_native.{suffix}"))).expect("a copy");
    let mut tests = Command::new(&python);
    tests.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]).arg(source.join("tests"));
    let tests = tests.current_dir(folder.path()).env("PYTHONPATH", folder.path()).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = tests.output().expect("pytest runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{said}");
}
