/** The codes of gRPC that matter here (google.rpc.Code). */
export const GrpcCode = {
  Cancelled: 1,
  DeadlineExceeded: 4,
  ResourceExhausted: 8,
  FailedPrecondition: 9,
  OutOfRange: 11,
  Internal: 13,
  Unavailable: 14,
} as const;

export class GrpcError extends Error {
  override readonly name = "GrpcError";
  constructor(
    readonly code: number,
    message: string,
    /** False when the request certainly never left this process. */
    readonly mayHaveArrived: boolean,
  ) {
    super(message);
  }
}
