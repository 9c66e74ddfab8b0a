import { expect, test } from "bun:test";
import { CounterTable } from "./tables.ts";

test("beyond a thousand combinations of labels the rest is counted together", () => {
  const table = new CounterTable({ name: "seen", help: "What was seen.", labels: ["user", "verb"] });
  for (let user = 0; user < 1010; user += 1) table.add([String(user), "get"]);
  const { samples } = table.family();
  expect(samples.length).toBe(1001);
  expect(samples.find(({ labels }) => labels?.["user"] === "other")?.value).toBe(10);
  expect(samples.find(({ labels }) => labels?.["user"] === "7")?.value).toBe(1);
});
