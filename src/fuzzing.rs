//! Everything that takes foreign bytes, for the fuzz targets of `fuzz/`.
//!
//! Each function takes any bytes, never panics by itself, and asserts what
//! has to be so whatever came. Not part of the gateway: only built for
//! fuzzing and for the test that runs the committed seeds, so that the
//! targets cannot rot.

use crate::config;
use crate::grpc;
use crate::service;
use crate::transatel;
use crate::webhook;

/// A fuzz target.
pub type Target = fn(&[u8]);

/// Every target by its name: what takes foreign bytes.
pub const TARGETS: [(&str, Target); 15] = [
    ("caller", grpc::fuzzing::caller),
    ("catalog", transatel::fuzzing::catalog),
    ("config", config::fuzzing::config),
    ("connectivity", transatel::fuzzing::connectivity),
    ("delivery", service::fuzzing::delivery),
    ("envelope", webhook::fuzzing::envelope),
    ("esim", transatel::fuzzing::esim),
    ("inventory", transatel::fuzzing::inventory),
    ("orders", transatel::fuzzing::orders),
    ("page_token", grpc::fuzzing::page_token),
    ("problem", transatel::fuzzing::problem),
    ("resume_token", grpc::fuzzing::resume_token),
    ("signature", webhook::fuzzing::signature),
    ("sims", transatel::fuzzing::sims),
    ("token", transatel::fuzzing::token),
];

/// Runs the target of this name; `None` when there is none.
pub fn run(name: &str, bytes: &[u8]) -> Option<()> {
    let (_, target) = TARGETS.iter().find(|(target, _)| *target == name)?;
    target(bytes);
    Some(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Names in a folder of `fuzz/`, without what follows the first point.
    fn names(folder: &str) -> BTreeSet<String> {
        let entries = fs::read_dir(Path::new("fuzz").join(folder)).unwrap();
        entries
            .map(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                name.split('.').next().unwrap().to_owned()
            })
            .collect()
    }

    #[test]
    fn every_target_is_fuzzed_from_seeds() {
        let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(targets.len(), TARGETS.len());
        assert_eq!(names("fuzz_targets"), targets);
        assert_eq!(names("seeds"), targets);
        let package: toml::Table = fs::read_to_string("fuzz/Cargo.toml").unwrap().parse().unwrap();
        let built = package["bin"].as_array().unwrap().iter();
        let built: BTreeSet<String> = built
            .map(|target| target["name"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(built, targets);
        for name in targets {
            let text = fs::read_to_string(format!("fuzz/fuzz_targets/{name}.rs")).unwrap();
            assert!(text.contains(&format!("run(\"{name}\", bytes)")), "{text}");
        }
    }

    #[test]
    fn every_seed_goes_through_its_target_whole_and_cut() {
        for (name, target) in TARGETS {
            let mut seeds = 0;
            for entry in fs::read_dir(Path::new("fuzz/seeds").join(name)).unwrap() {
                let seed = fs::read(entry.unwrap().path()).unwrap();
                target(&seed);
                for end in 0..seed.len() {
                    target(&seed[..end]);
                }
                seeds += 1;
            }
            assert!(seeds >= 2, "{name} has {seeds} seeds");
        }
    }
}
