// Does what the model's name says.

export function configure() {
  console.log("an instance was made");
}

export function capabilities() {
  return { operations: ["chat_completion"], needs_key: false };
}

export function plan(call) {
  switch (call.model) {
    case "loop":
      for (;;);
    case "eat-memory":
      for (const eaten = []; ; ) eaten.push(new Array(100_000).fill(call.now_ms));
    case "recurse":
      return plan(call);
    case "bug":
      return call.no_such_member.at_all;
    case "say-nothing":
      return undefined;
    default:
      return { reply: { whole: answer(call) } };
  }
}

function answer({ model, now_ms }) {
  const message = { role: "assistant", content: `well at ${now_ms === Date.now()}` };
  return {
    id: "1", object: "chat.completion", created: 0, model, choices: [{ index: 0, message, finish_reason: "stop" }],
  };
}
