//! However often the configuration changes, nothing of the earlier ones is kept.

use crate::dialects::Dialect;
use crate::gateway::{Setup, openai, wait_until};
use crate::upstream::{Reply, Upstream};
use serde_json::json;

/// Providers come and go under names that never come again, each with a request or two.
#[tokio::test]
async fn three_hundred_changes_leave_nothing_behind() {
    const ROUNDS: usize = 100;
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("hi")));
    let gateway = Setup::new()
        .provider("stays", openai(&upstream.url()))
        .set("plugins", "debounce_ms", 5)
        .set("log", "level", "warn")
        .section("encryption_key", json!("env.WORDS"))
        .environment("WORDS", "correct horse battery staple")
        .start()
        .await;
    let series = async || gateway.get("/metrics").await.text().lines().count();
    let mut early = (0, 0);
    for round in 0..ROUNDS {
        let (of_api, of_file) = (format!("api-{round}"), format!("file-{round}"));
        let mut block = openai(&upstream.url());
        block["provider"] = json!(of_api);
        assert_eq!(gateway.post("/api/providers", &block).await.status, 201);
        assert_eq!(gateway.chat(&format!("{of_api}/m"), "hello").await.status, 200);
        gateway.reconfigure(|config| config["providers"][&of_file] = openai(&upstream.url()));
        wait_until("the file's provider", || async {
            gateway.chat(&format!("{of_file}/m"), "hello").await.status == 200
        })
        .await;
        assert_eq!(gateway.send("DELETE", &format!("/api/providers/{of_api}"), &json!({})).await.status, 204);
        if round == ROUNDS / 4 {
            early = (series().await, gateway.memory());
        }
    }
    let (series_early, memory_early) = early;
    assert!(series().await <= series_early + 10, "{} after {series_early}", series().await);
    let grown = gateway.memory().saturating_sub(memory_early) >> 20;
    assert!(grown < 24, "{grown} MB more than after a quarter of the changes");
    assert_eq!(gateway.metric("plugway_generations_alive", "").await, 1.0);
    assert!(gateway.metric("plugway_generation", "").await >= 300.0);
    assert_eq!(gateway.metric("plugway_requests_total", "provider=\"api-").await, 0.0, "they are no more");
}
