//! Whom the gateway believes to be an upstream: who the public authorities, the system's or the operator's own vouch for,
//! by the name that it was called by, and as long as they do.

use crate::dialects::Dialect;
use crate::gateway::{Answer, Gateway, Setup, openai, run};
use crate::upstream::{Reply, Upstream};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// Somebody with a certificate.
pub struct Identity {
    pub acceptor: TlsAcceptor,
    /// The certificate, in PEM, of the authority that vouches for it.
    pub authority: String,
}

/// Vouched for by an authority of its own, under these names.
pub fn identity(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    change(&mut params);
    let certificate = params.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key);
    Identity { acceptor: TlsAcceptor::from(Arc::new(config.unwrap())), authority: authority.pem() }
}

/// An upstream with TLS.
pub struct TlsUpstream {
    pub url: String,
    pub authority: String,
}

pub async fn start(Identity { acceptor, authority }: Identity) -> TlsUpstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut connection) = acceptor.accept(connection).await else { return };
                let _ = connection.read(&mut [0; 16 * 1024]).await;
                let body = Dialect::OpenAi.whole("hi").to_string();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = connection.write_all(format!("{head}{body}").as_bytes()).await;
                let _ = connection.shutdown().await;
            });
        }
    });
    TlsUpstream { url, authority }
}

/// As `openai`, but this authority is believed too.
fn believing(url: &str, authority: &str) -> Value {
    let mut block = openai(url);
    block["network_config"]["ca_cert_pem"] = json!(authority);
    block
}

#[track_caller]
fn assert_unreachable(answer: &Answer) {
    assert_eq!(answer.openai_error(502)["code"], "upstream_unreachable");
}

#[tokio::test]
async fn an_upstream_is_believed_if_somebody_vouches_for_it() {
    let upstream = start(identity(&["127.0.0.1"], |_| {})).await;
    let mut anybody = openai(&upstream.url);
    anybody["network_config"]["insecure_skip_verify"] = json!(true);
    let gateway = Setup::new()
        .provider("stranger", openai(&upstream.url))
        .provider("named", believing(&upstream.url, &upstream.authority))
        .provider("anybody", anybody)
        .start()
        .await;
    assert_eq!(gateway.chat("named/m", "hello").await.content(), "hi");
    assert_eq!(gateway.chat("anybody/m", "hello").await.content(), "hi");
    assert_unreachable(&gateway.chat("stranger/m", "hello").await);
    gateway
        .wait_for_log(&["stranger", "invalid peer certificate", "UnknownIssuer", "network_config.ca_cert_pem"])
        .await;
    // Said when the file is read, not when it is too late.
    gateway.wait_for_log(&["providers.anybody.network_config.insecure_skip_verify", "the keys too"]).await;
}

#[tokio::test]
async fn another_authority_than_the_upstreams_own_does_not_do() {
    let upstream = start(identity(&["127.0.0.1"], |_| {})).await;
    let other = identity(&["127.0.0.1"], |_| {});
    let gateway = Gateway::with(&[("openai", believing(&upstream.url, &other.authority))]).await;
    assert_unreachable(&gateway.chat("openai/m", "hello").await);
    gateway.wait_for_log(&["invalid peer certificate"]).await;
}

#[tokio::test]
async fn a_certificate_is_for_its_names_only() {
    let upstream = start(identity(&["api.example.com", "127.0.0.2"], |_| {})).await;
    let gateway = Gateway::with(&[("openai", believing(&upstream.url, &upstream.authority))]).await;
    assert_unreachable(&gateway.chat("openai/m", "hello").await);
    gateway.wait_for_log(&["certificate not valid for name", "127.0.0.1", "api.example.com"]).await;
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_refused() {
    let expired = identity(&["127.0.0.1"], |params| params.not_after = date_time_ymd(2024, 1, 1));
    let upstream = start(expired).await;
    let early = identity(&["127.0.0.1"], |params| params.not_before = date_time_ymd(2150, 1, 1));
    let early = start(early).await;
    let gateway = Setup::new()
        .provider("expired", believing(&upstream.url, &upstream.authority))
        .provider("early", believing(&early.url, &early.authority))
        .start()
        .await;
    assert_unreachable(&gateway.chat("expired/m", "hello").await);
    gateway.wait_for_log(&["certificate expired"]).await;
    assert_unreachable(&gateway.chat("early/m", "hello").await);
    gateway.wait_for_log(&["certificate not valid yet"]).await;
}

#[tokio::test]
async fn who_speaks_no_tls_is_not_believed_and_another_provider_rescues_it() {
    let plain = Upstream::start().await;
    plain.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("hi")));
    let stranger = start(identity(&["127.0.0.1"], |_| {})).await;
    let block = |url: &str, model: &str| {
        let mut block = openai(url);
        block["models"] = json!([model, "both"]);
        block["network_config"]["connect_timeout_in_seconds"] = json!(0.5);
        block
    };
    let gateway = Setup::new()
        .provider("a-plain", block(&plain.url().replace("http:", "https:"), "no-tls"))
        .provider("b-stranger", block(&stranger.url, "unvouched"))
        .provider("c-good", block(&plain.url(), "good"))
        .start()
        .await;
    assert_unreachable(&gateway.chat("no-tls", "hello").await);
    assert_unreachable(&gateway.chat("unvouched", "hello").await);
    assert_eq!(gateway.chat("both", "hello").await.content(), "hi");
    assert_eq!(plain.requests().len(), 1, "what is not in TLS is not sent to who should speak it");
}

#[tokio::test]
async fn to_believe_anybody_and_to_name_an_authority_exclude_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plugway.yaml");
    let mut both = believing("https://api.example.com", &identity(&["a.example"], |_| {}).authority);
    both["network_config"]["insecure_skip_verify"] = json!(true);
    std::fs::write(&file, json!({"providers": {"both": both}}).to_string()).unwrap();
    let (code, said) = run(&["check", "--config", file.to_str().unwrap()]).await;
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("`insecure_skip_verify` and `ca_cert_pem` exclude each other"), "{said}");
}

/// As behind a proxy that looks into TLS, whose authority every machine of the house has.
#[tokio::test]
async fn the_systems_authorities_are_believed() {
    let upstream = start(identity(&["127.0.0.1"], |_| {})).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &upstream.authority).unwrap();
    let setup = Setup::new().environment("SSL_CERT_FILE", file.path().to_str().unwrap());
    let gateway = setup.provider("openai", openai(&upstream.url)).start().await;
    assert_eq!(gateway.chat("openai/m", "hello").await.content(), "hi");
}
