/** A volume cannot be had yet. Worded for the event FailedMount. */
export class VolumeError extends Error {
  override readonly name = "VolumeError";
}

/** The claim is being deleted: no pod begins with its volume any more; those that have it keep it. */
export class ClaimLeaving extends Error {
  override readonly name = "ClaimLeaving";
}

/** Some of a pod's volumes cannot be had yet: an event for each. */
export class VolumesError extends Error {
  override readonly name = "VolumesError";
  constructor(readonly failures: readonly VolumeError[]) {
    super(failures.map(({ message }) => message).join("; "));
  }
}

/** Somebody else still has to do something for the volume; the board is prompted when that is done. Told of when it lasts. */
export class VolumePending extends Error {
  override readonly name = "VolumePending";

  constructor(
    message: string,
    /** Asked when it lasts: is it that the board can have no more such volumes? */
    readonly isLimit: () => Promise<boolean> = () => Promise.resolve(false),
  ) {
    super(message);
  }
}

/** The board can have no more volumes of a kind: the pod belongs on another. */
export class VolumeLimitError extends Error {
  override readonly name = "VolumeLimitError";
}
