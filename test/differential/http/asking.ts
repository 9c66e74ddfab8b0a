/** How requests are made, and what they find. */
import type { Json, WireGroup } from "../wire/request.ts";
import type { Header, RawRequest } from "./raw-request.ts";

const own = "wire-http";
export const core = `/api/v1/namespaces/${own}`;
export const collection = `${core}/configmaps`;
export const object = `${collection}/held`;
export const big = `${collection}/big`;

const post = (path: string, body: Json): WireGroup["requests"][number] => ({
  name: `http setting ${path} ${(body["metadata"] as Json)["name"]}`,
  method: "POST",
  path,
  body,
});
const map = (name: string, data: Json = { a: "b" }): Json => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name },
  data,
});

/** So large that an answer is worth compressing. */
const LARGE_BYTES = 200_000;

/** What the requests find. */
export const setting: WireGroup = {
  name: "http: setting",
  inOrder: true,
  requests: [
    post("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: own } }),
    post(collection, map("held")),
    post(collection, map("big", { a: "x".repeat(LARGE_BYTES) })),
  ],
};

export type More = Partial<Omit<RawRequest, "name" | "method" | "target">>;

/** Paths whose bodies are their documents' own tests', or change by themselves. */
const isAnyBody = (target: string): boolean =>
  /^\/(openapi|metrics|version|apis?\/?(\?|$)|\.well-known|openid|$|\?)/.test(target);

/** A request by HTTP/1.1 unless `more` says otherwise; its name is made of all of it. */
export const ask = (what: string, method: string, target: string, more: More = {}): RawRequest => ({
  name: `${more.over ?? "http/1.1"} ${what}: ${method} ${target}`,
  over: "http/1.1",
  method,
  target,
  ...(isAnyBody(target) && { anyBody: true }),
  ...more,
});

export const json: Header = ["Content-Type", "application/json"];
export const made = JSON.stringify(map("made"));
export const dryRun = `${collection}?dryRun=All`;
/** Creates an object, dry. */
export const create = (what: string, { headers = [], body = made, ...more }: More = {}, target = dryRun): RawRequest =>
  ask(what, "POST", target, { headers: [json, ...headers], body, ...more });

export interface RawGroup {
  readonly name: string;
  readonly requests: readonly RawRequest[];
}
