import { expect, test } from "bun:test";
import { setWarnings } from "./answer.ts";

function headersFor(warnings: readonly string[]): unknown {
  const headers = new Map<string, unknown>();
  setWarnings({ setHeader: (name: string, value: unknown) => headers.set(name, value) } as never, warnings);
  return headers.get("warning");
}

test("warnings that no header can hold are left out", () => {
  expect(headersFor(["", "new\nline", "tab\there", "\u0001", "\u0085"])).toBeUndefined();
  expect(headersFor(["", "plain", "  spaces  ", 'with "quote" and \\ back', "plain"])).toEqual([
    '299 - "plain"',
    '299 - "  spaces  "',
    '299 - "with \\"quote\\" and \\\\ back"',
  ]);
});
