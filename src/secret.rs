//! Secrets of API tokens, and the files that keep one.
//!
//! A secret is `r3d_` and 256 random bits in base64url. It is shown once, when it is made, and kept
//! by its holder; the cluster keeps its digest. Nothing here, errors included, prints one.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::domain::tokens::TokenDigest;
use crate::identity::random_bytes;

/// What every secret begins with, so that people and scanners know one when they see it.
const PREFIX: &str = "r3d_";
/// Random bytes in a secret.
const RANDOM_LEN: usize = 32;
/// What is read of a file at most, in bytes: more than a secret and white space.
const FILE_LEN_MAX: u64 = 1_024;

/// The secret of one token.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Why a text is no secret. It does not say what the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token is r3d_ and 43 characters of base64url behind it")]
pub struct NotASecret;

/// Why a file gives no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It cannot be read.
    #[error("cannot read the token file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than its owner may read or write it.
    #[error(
        "the token file {} is open to others (mode {mode:04o}); chmod 600 {}",
        path.display(),
        path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It holds something else.
    #[error("the token file {} holds no token: {NotASecret}", .0.display())]
    NotASecret(PathBuf),
}

impl Secret {
    /// A new one, from the system's source of randomness.
    pub fn generate() -> io::Result<Secret> {
        let bytes: [u8; RANDOM_LEN] = random_bytes()?;
        Ok(Secret(PREFIX.to_owned() + &URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The secret in the file at `path`, which only its owner may read and write. White space
    /// around it does not count.
    pub fn from_file(path: &Path) -> Result<Secret, SecretFileError> {
        let unreadable = |source| SecretFileError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        // Of the open file: nobody can exchange it between the look and the reading.
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            let path = path.to_owned();
            return Err(SecretFileError::Open { path, mode });
        }
        let mut text = String::new();
        let read = file.take(FILE_LEN_MAX).read_to_string(&mut text);
        read.map_err(unreadable)?;
        let secret = text.trim().parse();
        secret.map_err(|NotASecret| SecretFileError::NotASecret(path.to_owned()))
    }

    /// What the cluster keeps of it.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(&self.0).into())
    }

    /// The secret itself: for the one answer that shows it, and for requests that bring it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = NotASecret;

    fn from_str(text: &str) -> Result<Secret, NotASecret> {
        let random = text.strip_prefix(PREFIX).ok_or(NotASecret)?;
        let bytes = URL_SAFE_NO_PAD.decode(random).map_err(|_| NotASecret)?;
        match bytes.len() {
            RANDOM_LEN => Ok(Secret(text.to_owned())),
            _ => Err(NotASecret),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    #[test]
    fn text_and_back_and_no_two_alike() {
        let secret = Secret::generate().unwrap();
        assert_eq!(secret.reveal().len(), 4 + 43);
        assert_eq!(secret.reveal().parse(), Ok(secret.clone()));
        assert_ne!(secret, Secret::generate().unwrap());
        assert_eq!(
            format!("{secret:?} {:?}", secret.digest()),
            "Secret TokenDigest"
        );
    }

    #[test]
    fn the_digest_is_sha_256_of_the_text() {
        let secret: Secret = format!("r3d_{}", "A".repeat(43)).parse().unwrap();
        let digest = secret.digest().0;
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        // printf r3d_AAAA... | sha256sum
        assert_eq!(
            hex,
            "5d17ba6f49dee2335506f8bb4ce7819f6ce6ea8bcd39346a987ac9d054200b27"
        );
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for text in [
            "",
            "r3d_",
            &"A".repeat(47),
            &format!("r3d_{}", "A".repeat(42)),
            &format!("r3d_{}", "A".repeat(44)),
            &format!("r3d_{}B", "A".repeat(42)),
            &format!("r3d_{}", "+".repeat(43)),
            &format!("r3d_{} ", "A".repeat(43)),
        ] {
            assert_eq!(text.parse::<Secret>(), Err(NotASecret), "`{text}`");
        }
    }

    #[test]
    fn a_file_of_its_owner_gives_its_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let secret = Secret::generate().unwrap();
        let told = |path: &Path| Secret::from_file(path).unwrap_err().to_string();
        assert!(told(&path).contains("cannot read"), "{}", told(&path));

        fs::write(&path, format!("  {}\n", secret.reveal())).unwrap();
        for mode in [0o644, 0o640, 0o620, 0o604, 0o602] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let text = told(&path);
            assert!(
                text.contains("chmod 600") && text.contains(&format!("{mode:04o}")),
                "{text}"
            );
        }
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(Secret::from_file(&path).unwrap(), secret);

        fs::write(&path, "hunter2").unwrap();
        let text = told(&path);
        assert!(
            text.contains("holds no token") && !text.contains("hunter2"),
            "{text}"
        );
    }
}
