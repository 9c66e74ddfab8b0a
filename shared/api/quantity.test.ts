import { describe, expect, test } from "bun:test";
import {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  milliValue,
  parseQuantity,
  QuantityError,
  quantityOf,
  scaledValue,
  subtractQuantities,
  wholeValue,
} from "./quantity.ts";

interface QuantityVector {
  text: string;
  canonical?: string;
  error?: string;
  whole?: string;
  milli?: string;
}

const fixture = new URL("../../test/fixtures/schema/quantities.json.gz", import.meta.url).pathname;
const vectors = JSON.parse(
  new TextDecoder().decode(Bun.gunzipSync(await Bun.file(fixture).bytes())),
) as QuantityVector[];
const fitsInt64 = (value: bigint) => BigInt.asIntN(64, value) === value;

describe("quantities as upstream reads and writes them", () => {
  test("canonical text", () => {
    for (const { text, canonical } of vectors) {
      if (canonical === undefined) expect(() => parseQuantity(text), text).toThrow(QuantityError);
      else expect([text, canonicalQuantity(text)]).toEqual([text, canonical]);
    }
  });

  test("messages", () => {
    for (const { text, error } of vectors) {
      if (error) expect(() => parseQuantity(text), text).toThrow(error);
    }
  });

  test("whole and milli values", () => {
    for (const { text, whole, milli } of vectors) {
      // Upstream rounds some negative values of its slow path towards zero.
      if (whole === undefined || milli === undefined || text.startsWith("-")) continue;
      const quantity = parseQuantity(text);
      // Upstream overflows silently; such values are beyond what either side can mean.
      if (fitsInt64(scaledValue(quantity, 0))) expect([text, String(scaledValue(quantity, 0))]).toEqual([text, whole]);
      if (fitsInt64(scaledValue(quantity, -3)))
        expect([text, String(scaledValue(quantity, -3))]).toEqual([text, milli]);
    }
  });
});

test("numbers of JSON are quantities too", () => {
  expect(canonicalQuantity(2)).toBe("2");
  expect(canonicalQuantity(0.5)).toBe("500m");
  expect(canonicalQuantity(1e21)).toBe("1e21");
});

test("arithmetic keeps the notation of the first value that is not zero", () => {
  const gibi = parseQuantity("1Gi");
  expect(formatQuantity(addQuantities(gibi, parseQuantity("1024M")))).toBe("2048576Ki");
  expect(formatQuantity(addQuantities(gibi, parseQuantity("512Mi")))).toBe("1536Mi");
  expect(formatQuantity(addQuantities(parseQuantity("0"), gibi))).toBe("1Gi");
  expect(formatQuantity(subtractQuantities(parseQuantity("1"), parseQuantity("250m")))).toBe("750m");
  expect(formatQuantity(quantityOf(1536, "DecimalSI", -3))).toBe("1536m");
});

test("comparison is by value", () => {
  expect(compareQuantities(parseQuantity("1000m"), parseQuantity("1"))).toBe(0);
  expect(compareQuantities(parseQuantity("1023Mi"), parseQuantity("1Gi"))).toBe(-1);
  expect(compareQuantities(parseQuantity("1n"), parseQuantity("-5"))).toBe(1);
});

test("values as numbers round away from zero", () => {
  expect(wholeValue("1.5Gi")).toBe(1610612736);
  expect(wholeValue("100m")).toBe(1);
  expect(milliValue("0.1")).toBe(100);
  expect(milliValue(2)).toBe(2000);
  expect(milliValue("-1u")).toBe(-1);
});
