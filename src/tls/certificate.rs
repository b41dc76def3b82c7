//! What a certificate says.

use std::net::IpAddr;
use std::path::Path;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;
use x509_parser::prelude::X509Certificate;
use x509_parser::time::ASN1Time;

use super::TlsError;

/// One certificate, as far as people and this program look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is, such as `CN=raft3d node 1`.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Host names, addresses and others that it is for.
    pub names: Vec<String>,
    /// It may sign others.
    pub is_ca: bool,
    /// When it begins to count.
    pub valid_from: Timestamp,
    /// When it ends to.
    pub valid_until: Timestamp,
}

/// The certificates of a PEM text that came from `path`, at least one.
pub fn chain_of(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let refuse = |reason: String| TlsError::Content {
        path: path.to_owned(),
        reason,
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| refuse(format!("no PEM certificates: {error}")))?;
    if chain.is_empty() {
        return Err(refuse("there is no PEM certificate in it".into()));
    }
    Ok(chain)
}

impl Certificate {
    /// Reads `der`; the error says what is wrong with it.
    pub fn parse(der: &CertificateDer<'_>) -> Result<Certificate, String> {
        let (_, parsed) =
            parse_x509_certificate(der).map_err(|error| format!("no certificate: {error}"))?;
        Ok(Certificate {
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            names: names_of(&parsed)?,
            is_ca: parsed.is_ca(),
            valid_from: time_of(parsed.validity().not_before)?,
            valid_until: time_of(parsed.validity().not_after)?,
        })
    }

    /// Reads all certificates of a PEM file.
    pub fn of_file(path: &Path) -> Result<Vec<Certificate>, TlsError> {
        let chain = chain_of(&super::files::read(path)?, path)?;
        let parsed = chain.iter().map(Certificate::parse).collect();
        Result::map_err(parsed, |reason| TlsError::Content {
            path: path.to_owned(),
            reason,
        })
    }
}

fn names_of(certificate: &X509Certificate<'_>) -> Result<Vec<String>, String> {
    let extension = certificate.subject_alternative_name();
    let extension = extension.map_err(|error| format!("its names cannot be read: {error}"))?;
    let names = extension.map_or(&[][..], |extension| &extension.value.general_names);
    Ok(names.iter().map(name_text).collect())
}

fn name_text(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => ip_of(bytes).map_or_else(
            || format!("address of {} bytes", bytes.len()),
            |ip| ip.to_string(),
        ),
        other => other.to_string(),
    }
}

fn ip_of(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from).ok();
    v4.or_else(|| <[u8; 16]>::try_from(bytes).map(IpAddr::from).ok())
}

fn time_of(time: ASN1Time) -> Result<Timestamp, String> {
    Timestamp::from_second(time.timestamp())
        .map_err(|error| format!("a time in it is out of range: {error}"))
}
