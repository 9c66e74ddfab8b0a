import { expect, test } from "bun:test";
import { readPrometheus, renderPrometheus, type Sample } from "./prometheus-text.ts";

test("what is rendered reads back the same", () => {
  const samples: Sample[] = [
    { labels: { pod: 'a "quoted"\\ name', other: 'two\nlines {x="y"}' }, value: 0.25, at_ms: 1_700_000_000_123 },
    { labels: {}, value: 1e21 },
  ];
  const text = renderPrometheus([
    { name: "some_total", type: "counter", help: "Some.", samples },
    { name: "none", type: "gauge", help: "Nothing.", samples: [] },
  ]);
  expect(text.startsWith("# HELP some_total Some.\n# TYPE some_total counter\nsome_total{pod=")).toBe(true);
  expect(text).not.toContain("none");
  const read: [string, Sample][] = [];
  readPrometheus(text, (name, sample) => read.push([name, sample]));
  expect(read).toEqual(samples.map((sample) => ["some_total", sample]));
});

test("what is no sample is passed over", () => {
  const read: string[] = [];
  readPrometheus('# HELP a b\n\ngarbage\na NaN\nb{} 1\nc{d="e",} 2 3\n', (name) => read.push(name));
  expect(read).toEqual(["a", "b", "c"]);
});
