//! SHA-256 in hexadecimal digits: what fingerprints, lists of files and data sets are compared by.

use sha2::{Digest, Sha256};

/// The digest of some bytes.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Bytes as hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
