/** The Kubernetes version whose API is spoken. */
export const kubernetesVersion = "v1.35.4";

declare const BRAMBLE_VERSION: string | undefined;
declare const BRAMBLE_BUILT_AT_MS: number | undefined;

/** Bramble's own version, set by tools/build.ts: `0.1.0` of a release, `0.1.0+g1b42f04` of a commit between two. */
export const version: string = typeof BRAMBLE_VERSION === "string" ? BRAMBLE_VERSION : "0.0.0-dev";

/** A version has one `+` at most (Semantic Versioning 2.0.0, 10). */
export const gitVersionOf = (build: string): string => `${kubernetesVersion}+bramble${build.replace("+", ".")}`;

let reported = gitVersionOf(version);

/** What `kubectl version` and a Node's nodeInfo show. */
export const gitVersion = (): string => reported;

/** Has another version shown, for a build that is told apart by it: of the same X.Y.Z, as upstream's SetDynamicVersion.
 *  Throws Error. */
export function reportVersion(asked: string): void {
  const parts = /^v?(\d+\.\d+\.\d+)(?:-[\dA-Za-z-]+(?:\.[\dA-Za-z-]+)*)?(?:\+[\dA-Za-z-]+(?:\.[\dA-Za-z-]+)*)?$/.exec(
    asked,
  );
  if (!parts) throw new Error(`could not parse ${JSON.stringify(asked)} as version`);
  if (`v${parts[1]}` !== kubernetesVersion)
    throw new Error(
      `version ${JSON.stringify(asked)} must match major/minor/patch of default version ${JSON.stringify(gitVersionOf(version))}`,
    );
  reported = asked;
}

/** When this binary was built, in milliseconds since 1970: no clock on any board is earlier than that and right. */
export const builtAt_ms: number = typeof BRAMBLE_BUILT_AT_MS === "number" ? BRAMBLE_BUILT_AT_MS : 0;
