//! Whom the gateway believes to be an upstream: who the public authorities, the system's or the operator's own vouch for.

use crate::dialects::Dialect;
use crate::gateway::{Setup, openai};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// An upstream with TLS.
struct Upstream {
    url: String,
    /// The certificate, in PEM, of the authority that vouches for it.
    authority: String,
}

async fn start() -> Upstream {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key);
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
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
    Upstream { url, authority: authority.pem() }
}

#[tokio::test]
async fn an_upstream_is_believed_if_somebody_vouches_for_it() {
    let upstream = start().await;
    let mut named = openai(&upstream.url);
    named["network_config"]["ca_cert_pem"] = json!(upstream.authority);
    let mut anybody = openai(&upstream.url);
    anybody["network_config"]["insecure_skip_verify"] = json!(true);
    let gateway = Setup::new()
        .provider("stranger", openai(&upstream.url))
        .provider("named", named)
        .provider("anybody", anybody)
        .start()
        .await;
    assert_eq!(gateway.chat("named/m", "hello").await.content(), "hi");
    assert_eq!(gateway.chat("anybody/m", "hello").await.content(), "hi");
    let error = gateway.chat("stranger/m", "hello").await.openai_error(502);
    assert_eq!(error["code"], "upstream_unreachable");
    gateway.wait_for_log(&["stranger", "invalid peer certificate"]).await;
}

/// As behind a proxy that looks into TLS, whose authority every machine of the house has.
#[tokio::test]
async fn the_systems_authorities_are_believed() {
    let upstream = start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &upstream.authority).unwrap();
    let setup = Setup::new().environment("SSL_CERT_FILE", file.path().to_str().unwrap());
    let gateway = setup.provider("openai", openai(&upstream.url)).start().await;
    assert_eq!(gateway.chat("openai/m", "hello").await.content(), "hi");
}
