//! A development CA: makes itself and certificates of nodes.

use std::net::IpAddr;

use jiff::{Timestamp, ToSpan};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};

use super::node_name;

/// A certificate and its key, in PEM.
pub struct Pair {
    /// The certificate.
    pub cert: String,
    /// Its key, PKCS #8.
    pub key: String,
}

/// A CA that can sign.
pub struct Authority {
    pair: Pair,
    issuer: Issuer<'static, KeyPair>,
}

/// From when to when a certificate counts.
#[derive(Debug, Clone, Copy)]
pub struct Validity {
    /// The first moment.
    pub from: Timestamp,
    /// The last.
    pub until: Timestamp,
}

impl Validity {
    /// From an hour ago, for clocks that differ, until `days` from now.
    pub fn days(days: u32) -> Validity {
        let now = Timestamp::now();
        let hours = i64::from(days).saturating_mul(24);
        Validity {
            from: now.saturating_sub(1.hour()).unwrap_or(now),
            until: now.saturating_add(hours.hours()).unwrap_or(Timestamp::MAX),
        }
    }
}

impl Authority {
    /// A new CA, which signs itself.
    pub fn create(validity: Validity) -> Result<Authority, rcgen::Error> {
        let mut params = params_of("raft3d development CA", validity)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let pair = Pair {
            cert: params.self_signed(&key)?.pem(),
            key: key.serialize_pem(),
        };
        Ok(Authority {
            pair,
            issuer: Issuer::new(params, key),
        })
    }

    /// The CA of a certificate and its key, in PEM.
    pub fn load(cert: &str, key: &str) -> Result<Authority, rcgen::Error> {
        Ok(Authority {
            pair: Pair {
                cert: cert.to_owned(),
                key: key.to_owned(),
            },
            issuer: Issuer::from_ca_cert_pem(cert, KeyPair::from_pem(key)?)?,
        })
    }

    /// Its own certificate and key.
    pub fn pair(&self) -> &Pair {
        &self.pair
    }

    /// A certificate of node `id`, which is reached at `hosts`, names or addresses.
    pub fn node(
        &self,
        id: i32,
        hosts: &[String],
        validity: Validity,
    ) -> Result<Pair, rcgen::Error> {
        let names = [vec![node_name(id)], hosts.to_vec()].concat();
        self.issue(&format!("raft3d node {id}"), names, validity)
    }

    /// A certificate for any names, as a client's and as a server's.
    pub fn issue(
        &self,
        subject: &str,
        names: Vec<String>,
        validity: Validity,
    ) -> Result<Pair, rcgen::Error> {
        let mut params = CertificateParams::new(names)?;
        dress(&mut params, subject, validity)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        Ok(Pair {
            cert: params.signed_by(&key, &self.issuer)?.pem(),
            key: key.serialize_pem(),
        })
    }
}

/// Whether a certificate can name `host`.
pub fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.parse::<IpAddr>().is_ok() || (host.len() <= 253 && host.split('.').all(is_label))
}

fn params_of(subject: &str, validity: Validity) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    dress(&mut params, subject, validity)?;
    Ok(params)
}

fn dress(
    params: &mut CertificateParams,
    subject: &str,
    validity: Validity,
) -> Result<(), rcgen::Error> {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, subject);
    params.distinguished_name = name;
    let seconds =
        |at: Timestamp| std::time::Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0));
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + seconds(validity.from);
    params.not_after = epoch + seconds(validity.until);
    Ok(())
}
