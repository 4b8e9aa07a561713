//! The admin API is never open by default beyond this machine, and on this machine not to pages in a browser.

use crate::admin::names;
use crate::gateway::{Answer, Gateway, Setup, chat_body, free_address, read};
use serde_json::json;

const KEY: &str = "sk-admin-4be1";

fn setup() -> Setup {
    Setup::bare().section("admin", json!({"key": "env.ADMIN_KEY"})).environment("ADMIN_KEY", KEY)
}

/// What tells something, each in its way.
const TELLING: [&str; 3] = ["/api/providers", "/api/plugins", "/api/explain"];

async fn ask_at(url: &str, gateway: &Gateway, path: &str, headers: &[(&str, &str)]) -> Answer {
    let url = format!("{url}{path}");
    let request = match path {
        "/api/explain" => gateway.http.post(url).json(&chat_body("echo", "hello", false)),
        _ => gateway.http.get(url),
    };
    read(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

async fn ask_with(gateway: &Gateway, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask_at(&gateway.url, gateway, path, headers).await
}

#[tokio::test]
async fn without_a_key_this_machine_may_and_pages_may_not() {
    let gateway = Setup::bare().start().await;
    let port = gateway.url.rsplit(':').next().expect("a port");
    let own = format!("http://localhost:{port}");
    for path in TELLING {
        assert_eq!(ask_with(&gateway, path, &[]).await.status, 200);
        assert_eq!(ask_with(&gateway, path, &[("host", "localhost"), ("origin", &own)]).await.status, 200);
        let tricks: [&[(&str, &str)]; 6] = [
            &[("origin", "https://evil.example")],
            &[("origin", "http://localhost:1")],
            &[("origin", "null")],
            &[("sec-fetch-site", "cross-site")],
            &[("host", "rebound.evil.example")],
            &[("x-forwarded-for", "203.0.113.9")],
        ];
        for headers in tricks {
            let error = ask_with(&gateway, path, headers).await.openai_error(403);
            assert!(error["message"].as_str().unwrap().contains("admin.key"), "{headers:?}: {error}");
        }
    }
    // What a form in a page can send, without the page being asked whether it may.
    let form = gateway.http.post(format!("{}/api/providers", gateway.url)).header("content-type", "text/plain");
    let form = form.header("origin", "https://evil.example").body(r#"{"provider": "evil", "plugin": "echo"}"#);
    read(form).await.openai_error(403);
    assert!(names(&gateway).await.is_empty());
}

#[tokio::test]
async fn beyond_this_machine_it_is_closed_without_a_key() {
    let gateway = Setup::bare().listen_everywhere().start().await;
    for (method, path) in
        [("GET", "/api/plugins"), ("GET", "/api/providers"), ("POST", "/api/providers"), ("POST", "/api/explain")]
    {
        let error = gateway.send(method, path, &json!({"provider": "a", "plugin": "echo"})).await.openai_error(403);
        assert_eq!(error["code"], "admin_closed");
        assert!(error["message"].as_str().unwrap().contains("`admin.key`"), "{error}");
    }
    assert_eq!(gateway.get("/metrics").await.status, 200);
    gateway.wait_for_log(&["the admin API is closed", "admin.key"]).await;
}

#[tokio::test]
async fn with_a_key_whoever_has_it_may_from_everywhere() {
    let gateway = setup().listen_everywhere().start().await;
    for path in TELLING.into_iter().chain(["/api/providers/none"]) {
        let missing = ask_with(&gateway, path, &[]).await;
        assert_eq!(missing.openai_error(401)["code"], "missing_admin_key");
        assert_eq!(missing.header("www-authenticate"), "Bearer");
        for wrong in ["Bearer sk-admin-4be", "Bearer ", "Basic sk-admin-4be1", "sk-admin-4be1"] {
            ask_with(&gateway, path, &[("authorization", wrong)]).await.openai_error(401);
        }
    }
    let key = format!("Bearer {KEY}");
    // Also through a proxy, and under any name.
    let headers = [("authorization", key.as_str()), ("host", "gateway.example"), ("x-forwarded-for", "203.0.113.9")];
    for path in TELLING {
        assert_eq!(ask_with(&gateway, path, &headers).await.status, 200, "{path}");
    }
    assert!(!gateway.log().contains(KEY));
}

/// The key follows the file, without a restart.
#[tokio::test]
async fn a_key_that_is_taken_out_of_the_file_is_not_asked_for() {
    let gateway = setup().start().await;
    gateway.get("/api/providers").await.openai_error(401);
    gateway.reconfigure(|config| _ = config.remove("admin"));
    gateway.wait_for_log(&["configuration loaded"]).await;
    assert_eq!(gateway.get("/api/providers").await.status, 200);
}

#[tokio::test]
async fn an_address_of_its_own_has_it_to_itself() {
    let own = free_address();
    let gateway = Setup::bare().listen_everywhere().section("admin", json!({"listen": own})).start().await;
    let get = async |path: &str| read(gateway.http.get(format!("http://{own}{path}"))).await;
    for path in TELLING {
        ask_with(&gateway, path, &[]).await.openai_error(404);
        assert_eq!(ask_at(&format!("http://{own}"), &gateway, path, &[]).await.status, 200);
    }
    for path in ["/healthz", "/metrics"] {
        assert_eq!((gateway.get(path).await.status, get(path).await.status), (200, 200));
    }
    get("/v1/models").await.openai_error(404);
    assert_eq!(gateway.get("/v1/models").await.status, 200);
}

#[tokio::test]
async fn an_address_that_is_taken_ends_the_start_with_its_name() {
    let taken = free_address();
    let _taken = std::net::TcpListener::bind(taken).expect("free");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("plugway.yaml");
    let config = json!({"listen": free_address(), "admin": {"listen": taken}});
    std::fs::write(&file, config.to_string()).expect("written");
    let (code, output) = crate::gateway::run(&["serve", "--config", file.to_str().unwrap()]).await;
    assert_eq!(code, Some(69), "{output}");
    assert!(output.contains(&taken.to_string()), "{output}");
}
