import { describe, expect, test } from "bun:test";
import { choices, duration, hosts, parseDuration_ms, seconds, toggle } from "./option.ts";

describe("durations as Go writes them", () => {
  test.each([
    ["15s", 15_000],
    ["1m30s", 90_000],
    ["1.5h", 5_400_000],
    ["250ms", 250],
    ["0", 0],
  ] as const)("%s", (text, expected_ms) => expect(parseDuration_ms(text)).toBe(expected_ms));

  test.each(["15", "s", "15 s", "1d", "-5s", ""])("%p is none", (text) =>
    expect(parseDuration_ms(text)).toBeUndefined(),
  );

  test.each(["2h", "90s", "5m", "250ms", "0s"])("%p is written so that it is read again", (text) => {
    const option = duration("retry-period", "", text);
    expect(option.format?.(option.fallback)).toBe(text);
  });

  test("what is none is refused by the setting's name", () => {
    expect(() => duration("retry-period", "", "2s").parse("soon")).toThrow("retry-period: expected a duration");
  });
});

test("of parts those that there are can be named, in lists and with commas, and the description has them all", () => {
  const option = choices("disable", "PART", "leave out", ["dns", "ingress"]);
  expect(option.description).toBe("leave out: dns, ingress");
  expect([option.parse("dns, ingress"), option.parse(["ingress"]), option.parse([])]).toEqual([
    ["dns", "ingress"],
    ["ingress"],
    [],
  ]);
  expect(() => option.parse("dns,traefik")).toThrow('disable: expected some of dns, ingress, got "traefik"');
});

test("a toggle is on by its name alone, and off by its value", () => {
  const option = toggle("leader-elect", "", true);
  expect([option.parse(true), option.parse("true"), option.parse("false")]).toEqual([true, true, false]);
  expect(() => option.parse("maybe")).toThrow("leader-elect");
});

test("seconds are a number, or a duration as upstream's flags have it", () => {
  const option = seconds("grace", "", 20, { min: 2, max: 3600 });
  expect([option.parse(40), option.parse("40"), option.parse("40s"), option.parse("1m")]).toEqual([40, 40, 40, 60]);
  for (const wrong of ["1500ms", "1s", "long"])
    expect(() => option.parse(wrong)).toThrow("grace: expected a whole number");
});

test("a certificate's names are host names or addresses", () => {
  const option = hosts("tls-san", "NAME", "");
  const good = ["pi.local", "*.example.org", "10.0.0.7", "fd00::7", "Drawer"];
  expect(option.parse(good)).toEqual(good);
  for (const wrong of ["a b", "https://pi.local", "pi.local:6443", "-a"])
    expect(() => option.parse(wrong)).toThrow(
      `tls-san: expected host names or addresses, got ${JSON.stringify(wrong)}`,
    );
});
