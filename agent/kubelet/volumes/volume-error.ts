/** A volume cannot be had yet. Worded for the event FailedMount. */
export class VolumeError extends Error {
  override readonly name = "VolumeError";
}

/** Somebody else still has to do something for the volume; the board is prompted when that is done. Told of when it lasts. */
export class VolumePending extends Error {
  override readonly name = "VolumePending";
}
