import { expect, test } from "bun:test";
import { EnvFileError, envFileValue } from "./env-file.ts";

test("values in single quotes, as they stand", () => {
  const text = "# first\n\n  A='1'\nB='$A \"x\" \\n' # told\r\nC='two\nlines=''\n";
  expect(envFileValue(text, "A")).toBe("1");
  expect(envFileValue(text, "B")).toBe('$A "x" \\n');
  expect(() => envFileValue(text, "C")).toThrow("unexpected content after closing quote");
  expect(envFileValue("C='two\nlines= '\nD='d'", "C")).toBe("two\nlines= ");
  expect(envFileValue("C='two\nlines= '\nD='d'", "D")).toBe("d");
});

test("absent and empty are the same", () => {
  expect(envFileValue("A=''\nB= 'x'\n", "A")).toBeUndefined();
  expect(envFileValue("A=''\nB= 'x'\n", "B")).toBeUndefined();
  expect(envFileValue("", "B")).toBeUndefined();
});

test("anything else is refused", () => {
  for (const line of ["A", "='1'", "A ='1'", "A=1", 'A="1"', "A='1", "A='1'2"]) {
    expect(() => envFileValue(`${line}\nKEY='x'`, "KEY")).toThrow(EnvFileError);
  }
  expect(envFileValue("KEY='x'\nnonsense", "KEY")).toBe("x");
});
