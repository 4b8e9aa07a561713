//! HTTP clients, one for each way of doing TLS. Every serving thread has its own, so that no request crosses threads.

use super::derived::Derived;
use crate::config::Tls;
use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_native_certs::CertificateResult;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

pub type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// How long an idle connection is kept. Most upstreams close theirs after 60 s and more.
const IDLE: Duration = Duration::from_secs(50);
const MAX_IDLE_PER_HOST: usize = 512;
/// For each connection. Hyper's own buffers grow with what comes, up to 400 KB; thousands of streams would hold a
/// gigabyte as soon as callers are slower than upstreams.
const READ_BYTES: usize = 8 * 1024;
/// A configuration has one or two; more come only from many changes of it.
const MAX_CLIENTS: usize = 32;

/// What a serving thread sends with.
pub struct Upstreams {
    clients: Mutex<HashMap<(Tls, Duration), HttpClient>>,
    derived: Arc<Derived>,
}

impl Upstreams {
    pub fn new(derived: Arc<Derived>) -> Self {
        Upstreams { clients: Mutex::default(), derived }
    }

    /// Credentials that were derived from others; all threads share them.
    pub fn derived(&self) -> &Derived {
        &self.derived
    }

    pub fn client(&self, tls: &Tls, connect_timeout: Duration) -> Result<HttpClient, rustls::Error> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tls.clone(), connect_timeout);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        let client = build(tls, connect_timeout)?;
        clients.insert(key, client.clone());
        Ok(client)
    }
}

fn build(tls: &Tls, connect_timeout: Duration) -> Result<HttpClient, rustls::Error> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    // Without it, Nagle's algorithm and delayed acknowledgements cost 40 ms a request.
    http.set_nodelay(true);
    http.set_connect_timeout(Some(connect_timeout));
    http.set_keepalive(Some(Duration::from_secs(60)));
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls_config(tls)?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
        .http1_max_headers(256)
        .http1_read_buf_exact_size(READ_BYTES)
        .build(https))
}

fn tls_config(tls: &Tls) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let config = match tls {
        Tls::Public => builder.with_root_certificates(ROOTS.clone()).with_no_client_auth(),
        Tls::CustomCa(certificates) => {
            let mut roots = RootCertStore::clone(&ROOTS);
            for certificate in certificates {
                roots.add(certificate.clone())?;
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        Tls::Unverified => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider))).with_no_client_auth()
        }
    };
    Ok(config)
}

/// Whom everybody trusts, so that the program needs no files, and whom this system trusts, since behind a proxy that
/// looks into TLS nothing else would do. What the system has is read once.
static ROOTS: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let CertificateResult { certs, errors, .. } = rustls_native_certs::load_native_certs();
    for error in errors {
        tracing::warn!("the system's certificates cannot all be read: {error}");
    }
    roots.add_parsable_certificates(certs);
    Arc::new(roots)
});

/// Takes any certificate: what `insecure_skip_verify` asks for. Signatures are still checked.
#[derive(Debug)]
struct Unverified(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
