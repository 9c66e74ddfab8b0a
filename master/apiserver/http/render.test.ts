import { expect, test } from "bun:test";
import type { ApiResponse } from "../request.ts";
import type { HttpResponse } from "./arrival.ts";
import { type Rendering, render } from "./render.ts";

/** An answer whose head cannot be written twice. */
class Answer {
  headersSent = false;
  readonly destroyed = false;
  readonly sent: string[] = [];

  setHeader(): void {
    if (this.headersSent) throw new Error("the head was sent already");
  }
  writeHead(status: number): void {
    this.setHeader();
    this.headersSent = true;
    this.sent.push(String(status));
  }
  end(body = ""): void {
    this.sent.push(body);
  }
}

const accepted: Rendering["accepted"] = { media: "json", pretty: false, as: undefined };
const value = { text: "x".repeat(1_000_000) };
const metadata = { resourceVersion: "1" };
const object: ApiResponse = { kind: "object", code: 200, value: () => value, text: () => JSON.stringify(value) };
const list = {
  ...{ kind: "list", code: 200, apiVersion: "v1", listKind: "ConfigMapList", metadata, isBare: false },
  items: [],
} as unknown as ApiResponse;

test.each<[string, ApiResponse, Rendering]>([
  ["compressed", object, { accepted, packing: "compressed", pretty: false }],
  ["made in turns", list, { accepted, packing: "none", pretty: true }],
])("what is %s when the client is told that it takes too long is not sent behind that", async (_, answer, asked) => {
  const response = new Answer();
  const rendered = render(response as unknown as HttpResponse, answer, asked);
  response.writeHead(504);
  response.end("late");
  await rendered;
  expect(response.sent).toEqual(["504", "late"]);
});
