// Speaks OpenAI's dialect, at a path of its own, with the key in a header of its own.
import { Problem } from "../plugway.js";
import type { Call, Capabilities, Configure, Plan, Step } from "../plugway.js";

type Settings = { team?: string };

let team = "default";

export const configure: Configure = (settings: Settings) => {
  team = settings.team ?? "default";
  if (team === "") {
    throw new Problem("invalid-request", "team: must not be empty; leave it out for `default`", { param: "team" });
  }
};

export const capabilities: Capabilities = () => ({
  operations: ["chat_completion", "chat_completion_stream"],
  default_base_url: "https://api.example.com",
});

export const plan: Plan = (call: Call): Step => ({
  send: {
    path: "/v2/chat",
    headers: [["x-team", team]],
    body: { edited: [{ member: "model", value: call.model }] },
    auth: { credential: "api_key", placement: { header: "x-api-key" } },
  },
});
