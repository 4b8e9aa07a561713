// OpenAI's Node library, plain, streamed and with an error: node openai_client.mjs <gateway> <model>
import assert from "node:assert/strict";
import { createRequire } from "node:module";

// Where the packages lie is the tests' business.
const { OpenAI } = createRequire(`${process.env.PLUGWAY_NODE_CLIENTS}/`)("openai");
const [gateway, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${gateway}/v1/proxy`, apiKey: "unused", maxRetries: 0 });
const messages = [{ role: "user", content: "What is the capital of France?" }];

const answer = await client.chat.completions.create({ model, messages });
assert.match(answer.choices[0].message.content, /Paris/);
assert(answer.usage.total_tokens > 0);

let text = "";
for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
  text += chunk.choices[0]?.delta?.content ?? "";
}
assert.match(text, /Paris/);

const tools = [{ type: "function", function: { name: "get_weather", parameters: { type: "object" } } }];
const called = await client.chat.completions.create({ model, messages, tools });
assert.equal(called.choices[0].message.tool_calls[0].function.name, "get_weather");

await assert.rejects(client.chat.completions.create({ model: "nobody/serves-this", messages }), OpenAI.NotFoundError);
