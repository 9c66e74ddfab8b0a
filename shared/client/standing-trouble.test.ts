import { expect, test } from "bun:test";
import { notedLog } from "../testing/noted-log.ts";
import { StandingTrouble } from "./standing-trouble.ts";

test("told once, again when it is another, and when it is over", () => {
  const { log, lines } = notedLog();
  const trouble = new StandingTrouble(log, { wrong: "away", over: "back" });
  trouble.end();
  for (let i = 0; i < 100; i++) trouble.tell(new Error("refused"));
  expect(lines).toEqual(["warn away"]);
  for (let i = 0; i < 100; i++) trouble.tell(new Error(i % 2 ? "refused" : "no such file"));
  expect(lines).toEqual(["warn away", "warn away"]);
  trouble.end();
  trouble.end();
  trouble.tell(new Error("refused"));
  expect(lines.slice(2)).toEqual(["info back", "warn away"]);
});

test("errors that are different each time are not told for ever", () => {
  const { log, lines } = notedLog();
  const trouble = new StandingTrouble(log, { wrong: "away" });
  for (let i = 0; i < 100; i++) trouble.tell(new Error(`port ${i}`));
  expect(lines).toHaveLength(5);
});
