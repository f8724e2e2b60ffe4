//! The experiments that ship, built into the program so that it works from any folder.

use std::path::{Path, PathBuf};

/// A shipped spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shipped {
    /// Its name, which is also its file's.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        /// All shipped experiments, in the order in which they run.
        pub const SHIPPED: &[Shipped] = &[
            $(Shipped { name: $name, text: include_str!(concat!("../../experiments/", $name, ".toml")) }),*
        ];
    };
}

shipped! {
    "dense-dimension",
    "dense-norms",
    "dense-scaled-norms",
    "dense-logit-constants",
    "dense-maximum",
    "dense-fluctuations",
    "broken-variance",
    "weight-laws",
    "collapsed-explicit",
    "activations",
    "mean-field",
    "conditioned-explicit",
    "conv-dimension",
    "conv-padding",
    "conv-dilation",
    "wide-convolutions",
    "pooling",
    "pooling-depth",
    "pooling-nine",
    "global-pooling",
    "normalisation-residual",
    "hypothesis-gap",
    "broken-hypotheses",
    "damage",
    "damage-dimension",
    "real-images",
    "real-images-conv",
    "regularisation",
    "trained-overlay",
    "trained-dimension",
    "trained-pooling",
    "trained-first-order",
    "trained-accuracy",
}

/// The shipped spec of this name.
pub fn find(name: &str) -> Option<&'static Shipped> {
    SHIPPED.iter().find(|shipped| shipped.name == name)
}

/// Sorts specs or results folders as the experiments ship; others, whose order is kept, stand behind.
pub fn sort_as_shipped(paths: &mut [PathBuf]) {
    let rank = |path: &PathBuf| {
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        SHIPPED.iter().position(|shipped| stem.as_deref() == Some(shipped.name)).unwrap_or(usize::MAX)
    };
    paths.sort_by_key(rank);
}

/// The specs in the folder `experiments` under `folder`, by name; empty where there is no such folder.
pub fn specs_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder.join("experiments")) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut specs: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|suffix| suffix == "toml")).collect();
    specs.sort();
    specs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spec_in_the_folder_ships_under_its_own_name() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<String> =
            specs_in(root).iter().map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
        let mut names: Vec<String> = SHIPPED.iter().map(|shipped| shipped.name.to_owned()).collect();
        files.sort();
        names.sort();
        assert_eq!(files, names);
        for Shipped { name, text } in SHIPPED {
            assert!(text.contains(&format!("name = \"{name}\"")), "{name}");
        }
    }
}
