import { expect, test } from "bun:test";
import { StatusError } from "#shared/api/errors.ts";
import type { LogOptions } from "../../runtime/runtime.ts";
import { logOptions } from "./log-options.ts";

const asked = (query: string): LogOptions => logOptions(new URLSearchParams(query));

const reasonFor = (query: string): string => {
  try {
    return JSON.stringify(asked(query));
  } catch (error) {
    return error instanceof StatusError ? error.reason : String(error);
  }
};

test("a log's options are read from the query", () => {
  expect(asked("tailLines=0&limitBytes=7&sinceTime=2026-01-01T00:00:00Z&stream=Stderr&follow=true")).toEqual({
    follow: true,
    timestamps: false,
    tailLines: 0,
    limit_bytes: 7,
    since_ms: Date.UTC(2026, 0, 1),
    stream: "stderr",
  });
  expect(asked("")).toEqual({ follow: false, timestamps: false, stream: "all" });
  expect(asked("follow=1&timestamps")).toMatchObject({ follow: true, timestamps: true });
  expect(asked("follow=0&timestamps=False")).toMatchObject({ follow: false, timestamps: false });
  // By its former name.
  expect(asked("tail=3").tailLines).toBe(3);
  expect(asked("tail=all&tailLines=3").tailLines).toBeUndefined();
});

test("what is no number or out of bounds is refused", () => {
  for (const name of ["tailLines", "limitBytes", "sinceSeconds"]) {
    for (const text of ["x", "", "1.5", "0x10", "1e3"]) expect(reasonFor(`${name}=${text}`)).toBe("BadRequest");
    expect(reasonFor(`${name}=-1`)).toBe("Invalid");
  }
  expect(reasonFor("sinceTime=yesterday")).toBe("BadRequest");
});
