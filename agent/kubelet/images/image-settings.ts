import { parseImageReference } from "#agent/runtime/image-reference.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { AgentSettings } from "#shared/config/settings.ts";
import type { ImageGarbageRules } from "./image-gc.ts";
import type { ImageVerification } from "./pull-records.ts";

export type ImageSettings = Pick<
  AgentSettings,
  | "imageGcHighThreshold"
  | "imageGcLowThreshold"
  | "minimumImageTtlDuration"
  | "imageMaximumGcAge"
  | "imagePullCredentialsVerificationPolicy"
  | "preloadedImagesVerificationAllowlist"
>;

/** When images go. Throws ConfigError for rules that contradict each other. */
export function imageRulesOf(settings: ImageSettings): ImageGarbageRules {
  const { imageGcHighThreshold: high, imageGcLowThreshold: low } = settings;
  const { minimumImageTtlDuration: youngest_ms, imageMaximumGcAge: oldest_ms } = settings;
  if (low >= high)
    throw new ConfigError(`image-gc-low-threshold: ${low} is not less than image-gc-high-threshold, ${high}`);
  if (oldest_ms !== 0 && oldest_ms <= youngest_ms)
    throw new ConfigError("image-maximum-gc-age: it must be more than minimum-image-ttl-duration");
  return { high: high / 100, low: low / 100, youngest_ms, oldest_ms };
}

/** Who may use images that are on the board. Throws ConfigError for a list that is not read, or has no names of images. */
export function imageVerificationOf({
  imagePullCredentialsVerificationPolicy: policy,
  preloadedImagesVerificationAllowlist: allowlist,
}: ImageSettings): ImageVerification {
  const option = "preloaded-images-verification-allowlist";
  if (allowlist.length > 0 && policy !== "NeverVerifyAllowlistedImages")
    throw new ConfigError(`${option}: only NeverVerifyAllowlistedImages reads it`);
  return { policy, allowlist: allowlist.map((text) => allowed(option, text)) };
}

function allowed(option: string, text: string): string {
  const isPrefix = text.endsWith("/*");
  const name = isPrefix ? text.slice(0, -2) : text;
  if (name === "" || name.includes("*"))
    throw new ConfigError(`${option}: expected an image or REGISTRY/PATH/*, got ${text}`);
  if (isPrefix) return text;
  try {
    const { domain, path, tag, digest } = parseImageReference(`${name}:latest`);
    if (tag === "latest" && digest === undefined) return `${domain}/${path}`;
  } catch (error) {
    throw new ConfigError(`${option}: ${(error as Error).message}`);
  }
  throw new ConfigError(`${option}: neither tag nor digest may stand in ${text}`);
}
