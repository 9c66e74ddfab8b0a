import { describe, expect, test } from "bun:test";
import { nodeOfSessionTopic, parseSessionMessage, type SessionMessage, sessionTopic, supersedes } from "./messages.ts";

const message = (state: SessionMessage["state"], session: number, bootId = "a"): SessionMessage => ({
  state,
  bootId,
  session,
});

describe("supersedes", () => {
  test("the end of the session that is known is news, once", () => {
    expect(supersedes(message("lost", 5), message("online", 5))).toBe(true);
    expect(supersedes(message("lost", 5), message("lost", 5))).toBe(false);
  });
  test("a late word about an older session is not", () => {
    expect(supersedes(message("lost", 4), message("online", 5))).toBe(false);
    expect(supersedes(message("online", 5), message("lost", 5))).toBe(false);
  });
  test("a session that broke before it was announced says nothing", () => {
    expect(supersedes(message("lost", 6), message("online", 5))).toBe(false);
    expect(supersedes(message("lost", 6), undefined)).toBe(false);
  });
  test("a new boot begins with a session, and the old boot's will changes nothing", () => {
    expect(supersedes(message("online", 1, "b"), message("lost", 9))).toBe(true);
    expect(supersedes(message("lost", 9, "a"), message("online", 1, "b"))).toBe(false);
  });
});

test("what is not a session message is refused", () => {
  expect(parseSessionMessage("{")).toBeUndefined();
  expect(parseSessionMessage('{"state":"gone","bootId":"a","session":1}')).toBeUndefined();
  expect(parseSessionMessage('{"state":"online","bootId":"a","session":"1"}')).toBeUndefined();
  expect(parseSessionMessage('{"state":"online","bootId":"a","session":1}')).toEqual(message("online", 1));
});

test("a topic names its node", () => {
  expect(nodeOfSessionTopic(sessionTopic("pi-3"))).toBe("pi-3");
  expect(nodeOfSessionTopic("bramble/v1/nodes/pi-3/x/session")).toBeUndefined();
});
