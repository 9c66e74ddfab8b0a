import { expect, test } from "bun:test";
import type { ContainerRuntime, ContainerStatus, ImageStatus } from "#agent/runtime/runtime.ts";
import { silentLog } from "#shared/client/log.ts";
import { defaultImageRules, ImageGarbage, type ImageGarbageRules } from "./image-gc.ts";
import { type ImageSettings, imageRulesOf, imageVerificationOf } from "./image-settings.ts";

const image = (id: string): ImageStatus =>
  ({ id, tags: [`${id}:1`], digests: [], size_bytes: 10, pinned: false }) as unknown as ImageStatus;
const used = (by: string): ContainerStatus => ({ image: `${by}:1`, imageId: by }) as unknown as ContainerStatus;

function garbage(rules: Partial<ImageGarbageRules>, images: readonly ImageStatus[]) {
  let now_ms = 0;
  const removed: string[] = [];
  const runtime = {
    listImages: async () => images,
    listContainers: async () => [],
    removeImage: async (id: string) => void removed.push(id),
  } as unknown as ContainerRuntime;
  const kept = { ...defaultImageRules, ...rules };
  const made = new ImageGarbage(runtime, silentLog, undefined, kept, () => now_ms);
  return { made, removed, pass: (time_ms: number) => (now_ms += time_ms) };
}

test("images that nothing has used for too long go, but not before that was looked at for so long", async () => {
  const images = [image("used"), image("idle")];
  const { made, removed, pass } = garbage({ oldest_ms: 600_000 }, images);
  const look = async (containers: readonly ContainerStatus[]): Promise<void> => {
    made.observe(images, containers);
    await made.collectOld(images, containers);
  };
  await look([used("used")]);
  pass(600_000);
  await look([used("used")]);
  expect(removed).toEqual([]);
  pass(1);
  await look([]);
  expect(removed).toEqual(["idle"]);
  pass(600_000);
  await look([]);
  expect(removed).toEqual(["idle", "idle", "used"]);
});

test("without an age none goes for it", async () => {
  const { made, removed, pass } = garbage({}, [image("idle")]);
  pass(10 ** 9);
  made.observe([image("idle")], []);
  await made.collectOld([image("idle")], []);
  expect(removed).toEqual([]);
});

test("how full the disk may be is to be set", async () => {
  const { made, removed, pass } = garbage({ high: 0.5, low: 0.4 }, [image("a"), image("b")]);
  made.observe([image("a"), image("b")], []);
  pass(200_000);
  expect(await made.collect({ capacity_bytes: 100, available_bytes: 51 })).toBeUndefined();
  expect(await made.collect({ capacity_bytes: 100, available_bytes: 50 })).toBe(10);
  expect(removed).toEqual(["a"]);
  const never = garbage({ high: 1 }, [image("a")]);
  expect(await never.made.collect({ capacity_bytes: 100, available_bytes: 0 })).toBeUndefined();
});

const settings: ImageSettings = {
  imageGcHighThreshold: 85,
  imageGcLowThreshold: 80,
  minimumImageTtlDuration: 120_000,
  imageMaximumGcAge: 0,
  imagePullCredentialsVerificationPolicy: "NeverVerifyPreloadedImages",
  preloadedImagesVerificationAllowlist: [],
};

test("rules that contradict each other are refused", () => {
  expect(imageRulesOf(settings)).toEqual(defaultImageRules);
  expect(() => imageRulesOf({ ...settings, imageGcLowThreshold: 85 })).toThrow("image-gc-low-threshold");
  expect(() => imageRulesOf({ ...settings, imageMaximumGcAge: 60_000 })).toThrow("image-maximum-gc-age");
});

test("a list of images is read where it counts, and holds names without tag", () => {
  const listed = (allowlist: string[], policy: ImageSettings["imagePullCredentialsVerificationPolicy"]) =>
    imageVerificationOf({
      ...settings,
      imagePullCredentialsVerificationPolicy: policy,
      preloadedImagesVerificationAllowlist: allowlist,
    }).allowlist;
  expect(listed(["busybox", "example.com/a/*"], "NeverVerifyAllowlistedImages")).toEqual([
    "docker.io/library/busybox",
    "example.com/a/*",
  ]);
  expect(() => listed(["busybox"], "AlwaysVerify")).toThrow("only NeverVerifyAllowlistedImages");
  for (const wrong of ["busybox:1", "/*", "a*", "Not A Name"])
    expect(() => listed([wrong], "NeverVerifyAllowlistedImages")).toThrow("preloaded-images-verification-allowlist");
});
