//! A proxy on a real socket: `CONNECT` and SOCKS5 on one port, as the first byte says. It knows names that nobody else
//! knows, all of which are this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The running proxy; it ends with the test's runtime.
pub struct Proxy {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

/// Who may use it: `user:password`. None: anybody.
type Login = Option<&'static str>;

impl Proxy {
    pub async fn start(login: Login) -> Self {
        Proxy::listen(login, None).await
    }

    /// One that is talked to in TLS.
    pub async fn start_with_tls(login: Login, acceptor: TlsAcceptor) -> Self {
        Proxy::listen(login, Some(acceptor)).await
    }

    async fn listen(login: Login, acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noting = asked.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (asked, acceptor) = (noting.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(connection, login, &asked).await,
                        Some(acceptor) => serve(acceptor.accept(connection).await.ok()?, login, &asked).await,
                    }
                });
            }
        });
        Proxy { address, asked }
    }

    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    /// What it was asked to connect to, with the way of asking: `http name:port`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(
    mut caller: impl AsyncRead + AsyncWrite + Unpin,
    login: Login,
    asked: &Mutex<Vec<String>>,
) -> Option<()> {
    let first = caller.read_u8().await.ok()?;
    let (place, accepted): (String, &[u8]) = match first {
        5 => (socks(&mut caller, login, asked).await?, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
        _ => (http(&mut caller, first, login, asked).await?, b"HTTP/1.1 200 Connected\r\n\r\n"),
    };
    let (name, port) = place.rsplit_once(':')?;
    let ip = name.trim_matches(['[', ']']).parse().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let mut upstream = TcpStream::connect((ip, port.parse().ok()?)).await.ok()?;
    caller.write_all(accepted).await.ok()?;
    copy_bidirectional(&mut caller, &mut upstream).await.ok().map(drop)
}

async fn http(
    caller: &mut (impl AsyncRead + AsyncWrite + Unpin),
    first: u8,
    login: Login,
    asked: &Mutex<Vec<String>>,
) -> Option<String> {
    let mut head = vec![first];
    while !head.ends_with(b"\r\n\r\n") {
        head.push(caller.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let place = head.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
    asked.lock().unwrap().push(format!("http {place}"));
    let given = head.lines().find_map(|line| line.strip_prefix("Proxy-Authorization: Basic ")).map(decoded);
    if login.is_some_and(|login| given.as_deref() != Some(login)) {
        caller.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n").await.ok()?;
        return None;
    }
    Some(place)
}

/// Of base64.
fn decoded(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for digit in text.bytes().filter_map(|byte| DIGITS.iter().position(|digit| *digit == byte)) {
        bits = bits << 6 | u32::try_from(digit).expect("below 64");
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xFF).expect("one byte"));
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

/// RFC 1928, and RFC 1929 for the login.
async fn socks(
    caller: &mut (impl AsyncRead + AsyncWrite + Unpin),
    login: Login,
    asked: &Mutex<Vec<String>>,
) -> Option<String> {
    let methods = counted(caller).await?;
    let method = if login.is_some() { 2 } else { 0 };
    if !methods.contains(&method) {
        caller.write_all(&[5, 0xFF]).await.ok()?;
        return None;
    }
    caller.write_all(&[5, method]).await.ok()?;
    if let Some(login) = login {
        let _version = caller.read_u8().await.ok()?;
        let (user, password) = (counted(caller).await?, counted(caller).await?);
        let given = format!("{}:{}", String::from_utf8_lossy(&user), String::from_utf8_lossy(&password));
        caller.write_all(&[1, u8::from(given != login)]).await.ok()?;
        if given != login {
            return None;
        }
    }
    let mut request = [0; 4];
    caller.read_exact(&mut request).await.ok()?;
    let name = match request[3] {
        1 => Ipv4Addr::from_bits(caller.read_u32().await.ok()?).to_string(),
        3 => String::from_utf8(counted(caller).await?).ok()?,
        4 => format!("[{}]", Ipv6Addr::from_bits(caller.read_u128().await.ok()?)),
        _ => return None,
    };
    let place = format!("{name}:{}", caller.read_u16().await.ok()?);
    asked.lock().unwrap().push(format!("socks {place}"));
    Some(place)
}

/// A byte that says how many there are, and those.
async fn counted(caller: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut bytes = vec![0; caller.read_u8().await.ok()?.into()];
    caller.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}
