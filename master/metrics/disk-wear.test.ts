import { describe, expect, test } from "bun:test";
import { describeWear, diskWear } from "./disk-wear.ts";

const unknown = {
  own_bytes: undefined,
  ownFor_s: undefined,
  device_bytes: undefined,
  deviceFor_s: undefined,
  deviceSize_bytes: undefined,
  lifeUsed_percent: undefined,
  isWornOut: undefined,
};

describe("what a board writes", () => {
  test("is told for a day, with what that means for the card", () => {
    const hour = { own_bytes: 50_000, ownFor_s: 3600, device_bytes: 40e6, deviceFor_s: 7200, deviceSize_bytes: 32e9 };
    const wear = diskWear({ ...unknown, ...hour });
    expect(wear).toEqual({ brambleBytesPerDay: 1_200_000, diskBytesPerDay: 480_000_000, expectedLifeDays: 20_000 });
    expect(describeWear(wear)).toBe("writes 1.2 MB a day, the whole disk 480 MB, a card lasts over 50 years at that");
    expect(describeWear({ expectedLifeDays: 400 })).toBe("a card lasts some 400 days at that");
  });

  test("is not told of a start, and the card's own word counts more than an estimate", () => {
    expect(diskWear({ ...unknown, own_bytes: 1e9, ownFor_s: 60, device_bytes: 1e9, deviceFor_s: 60 })).toEqual({});
    expect(describeWear({})).toBe("");
    expect(describeWear({ expectedLifeDays: 9, lifeUsedPercent: 30 })).toBe("the card has used 30 % of its life");
    expect(describeWear({ lifeUsedPercent: 90, wornOut: true })).toContain("WORN OUT");
  });
});
