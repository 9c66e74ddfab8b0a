/** A container cannot be made as the spec wants it: shown as waiting with `reason` until the cause is gone. */
export class ContainerStartError extends Error {
  override readonly name = "ContainerStartError";
  constructor(
    readonly reason:
      | "CreateContainerConfigError"
      | "CreateContainerError"
      | "RunContainerError"
      | "PostStartHookError"
      | "ErrImagePull"
      | "ImagePullBackOff"
      | "ErrImageNeverPull"
      | "ImageInspectError"
      | "InvalidImageName"
      | "RegistryUnavailable"
      | "CrashLoopBackOff",
    message: string,
    readonly options: ErrorOptions & {
      /** When a retry makes sense, in ms since the epoch. */
      readonly retryAt_ms?: number | undefined;
    } = {},
  ) {
    super(message, options);
  }
}

export const configError = (message: string): ContainerStartError =>
  new ContainerStartError("CreateContainerConfigError", message);
