// What a plugin's functions take and return. Export from `src/plugin.js` those of the kinds that package.json lists.

export type ProblemKind =
  | "invalid-request" | "unauthenticated" | "forbidden" | "not-found" | "too-large" | "refused" | "rate-limited"
  | "unsupported" | "upstream" | "overloaded" | "timeout" | "internal";

export class Problem extends Error {
  constructor(kind: ProblemKind, message: string, more?: {
    /** The request member at fault, as a path: `messages[2].content`. */
    param?: string;
    /** Machine-readable: `context_length_exceeded`. */
    code?: string;
    /** For the operator's log only. */
    detail?: string;
    retry_after_ms?: number;
  });
  kind: ProblemKind;
  param?: string;
  code?: string;
  detail?: string;
  retry_after_ms?: number;
}

export function kindOfStatus(status: number): ProblemKind;
export function now(): number;
export function log(level: "debug" | "info" | "warn" | "error", message: string): void;

/** Any JSON. The canonical form of a chat is OpenAI's Chat Completions. */
export type Json = any;
/** What a stream remembers: an object that the functions change. It is kept as JSON, so it holds nothing else. */
export type State = Record<string, Json>;
export type Headers = [name: string, value: string][];
export type Translated = { body: Json; /** Hints that were lost. */ dropped?: string[] };
export type StreamEvent = { name?: string; /** JSON, or text that is none. */ data: Json };
export type Progress = "open" | "complete" | { failed: Problem } | void;

/** Takes the settings of a configuration, before any other call; throw a `Problem` that names what is wrong. */
export type Configure = (settings: Json) => void;

// provider
export type Capabilities = () => {
  operations: string[]; body_members?: string[]; default_base_url?: string; needs_key?: boolean;
  presets?: { name: string; base_url: string; needs_key?: boolean; settings?: Json }[];
};
export type Call = {
  operation: string; model: string; streaming: boolean; dialect: string; attempt: number; now_ms: number;
  credentials: string[]; members: Json;
};
export type Outgoing = {
  path: string; method?: string; headers?: Headers; dialect?: string;
  body?: "translated" | "empty" | { edited: { member: string; value?: Json }[] } | { replaced: Json };
  auth?: { credential: string; placement: "bearer" | { header: string } | { query: string } };
  framing?: "none" | "sse" | "ndjson" | "aws-event-stream";
};
export type Step =
  | { send: Outgoing }
  | { fetch: { request: Outgoing; state: Json } }
  | { wait: { milliseconds: number; state: Json } }
  | { acquire: { credential: string; request: Outgoing; secret_at: string; expires_at?: string } }
  | { reply: { whole: Json } | { chunks: Json[] } };
export type Plan = (call: Call) => Step;
export type Resume = (state: Json, reply?: { status: number; headers: Headers; body: Json }) => Step;

// format-upstream and format-client also export `dialect`, a string.
export type EncodeRequest = (operation: string, model: string, body: Json) => Translated;
export type DecodeReply = (operation: string, body: Json) => Json;
export type DecodeProblem = (status: number, headers: Headers, body: Json) => Problem;
export type DecodeEvent = (operation: string, state: State, event: StreamEvent, chunks: Json[]) => Progress;
/** Optional: the upstream has closed the stream, and no event said that it was complete. */
export type DecodeEnd = (operation: string, state: State, chunks: Json[]) => Progress;

export type Place = { member: string } | { parameter: string } | "always" | "never";
export type Routes = () => { path: string; method?: string; operation?: string; model?: Place; streaming?: Place }[];
export type DecodeRequest = (operation: string, model: string, streaming: boolean, body: Json) => Translated;
export type EncodeReply = (operation: string, body: Json) => Json;
export type EncodeChunk = (operation: string, state: State, chunk: Json, events: StreamEvent[]) => void;
export type EncodeEnd = (operation: string, state: State, events: StreamEvent[]) => void;
export type EncodeFailure = (operation: string, state: State, problem: Problem, events: StreamEvent[]) => void;
export type EncodeProblem = (status: number, problem: Problem, requestId: string) => Json;

// headers
export type Variables = (template: string) => string[];
export type Render = (templates: Headers, variables: Record<string, string>) => Headers;

// policy: export those that are needed.
export type Context = { request_id: string; operation: string; model: string; streaming: boolean; now_ms: number };
export type Verdict = "pass" | { change: Json } | { refuse: Problem } | void;
export type ReviewRequest = (context: Context, body: Json) => Verdict;
export type ReviewReply = (context: Context, body: Json) => Verdict;
/** Pushes what may pass; a problem ends the stream. */
export type ReviewChunk = (context: Context, state: State, chunk: Json, chunks: Json[]) => Problem | void;
export type ReviewEnd = (context: Context, state: State, chunks: Json[]) => Problem | void;

// For the glue and for cases.test.js.
export function functions(plugin: object): Record<string, (...given: any[]) => any>;
export function shown(text: string): Json;
export function textOf(value: Json): string;
export function asProblem(error: unknown): Problem;
export const host: { nowMs: () => number };
