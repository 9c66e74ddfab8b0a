/** Annotations of a Node by which a fleet is upgraded. Whoever may patch the Node asks; the board answers. */

/** Asked for: the version that the board is to run. It gets it from its master, or goes back to the one it had before. */
export const upgradeToAnnotation = "bramble.dev/upgrade-to";
/** Answered: the version that the board can go back to. */
export const previousVersionAnnotation = "bramble.dev/previous-version";
/** Answered: `VERSION: what went wrong`, for the last version that was tried in vain. */
export const upgradeFailedAnnotation = "bramble.dev/upgrade-failed";

/** The version in what a Node says of its kubelet, as `gitVersion` is made. */
export function versionOfKubelet(kubeletVersion: string): string | undefined {
  const build = /\+bramble(\d+\.\d+\.\d+(?:-[0-9A-Za-z-]+)?)(?:\.([0-9A-Za-z.-]+))?$/.exec(kubeletVersion);
  return build?.[1] === undefined ? undefined : build[1] + (build[2] === undefined ? "" : `+${build[2]}`);
}
