import { expect, test } from "bun:test";
import { reviewIn } from "./webhook-answer.ts";

const json = "application/json";

test("an answer is a document in JSON, or in YAML", () => {
  expect(reviewIn({ status: 201, type: json, body: '{"kind":"A"}' })).toEqual({ kind: "A" });
  expect(reviewIn({ status: 200, type: json, body: "kind: A\n" })).toEqual({ kind: "A" });
  expect(reviewIn({ status: 200, type: json, body: "hello" })).toBe("hello");
});

test("why there is none is told in upstream's words", () => {
  const unread = "couldn't get version/kind; json parse error";
  const server = "an error on the server";
  for (const [status, type, body, message] of [
    [200, json, "", "0-length response with status code: 200 and content type: application/json"],
    [204, json, "", "0-length response with status code: 204 and content type: application/json"],
    [200, json, '{"kind":"Adm', `${unread}: unexpected end of JSON input`],
    [200, json, "{} x", `${unread}: invalid character 'x' after top-level value`],
    [304, json, "", "the server responded with the status code 304 but did not return more information"],
    [400, json, "bad", "the server rejected our request for an unknown reason"],
    [401, json, "x", "the server has asked for the client to provide credentials"],
    [403, json, "x", "unknown"],
    [403, "text/plain", "x ", "x"],
    [404, json, "x", "the server could not find the requested resource"],
    [409, json, "x", "the server reported a conflict"],
    [429, json, "x", "the server has received too many requests and has asked us to try again later"],
    [500, "text/plain", "boom", `${server} ("boom") has prevented the request from succeeding`],
    [500, json, "boom", `${server} ("unknown") has prevented the request from succeeding`],
    [500, json, '{"kind":"Status","status":"Failure","message":"told"}', "told"],
    [503, json, "x", "the server is currently unable to handle the request"],
  ] as const)
    expect(() => reviewIn({ status, type, body })).toThrow(message);
});
