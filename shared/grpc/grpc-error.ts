/** The codes of gRPC (google.rpc.Code). */
export const GrpcCode = {
  Ok: 0,
  Cancelled: 1,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  NotFound: 5,
  AlreadyExists: 6,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  FailedPrecondition: 9,
  Aborted: 10,
  OutOfRange: 11,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  DataLoss: 15,
  Unauthenticated: 16,
} as const;

/** As Go's clients name it. */
export function grpcCodeName(code: number): string {
  const name = Object.entries(GrpcCode).find(([, each]) => each === code)?.[0] ?? `Code(${code})`;
  return spelledOtherwise[name] ?? name;
}

const spelledOtherwise: Readonly<Record<string, string>> = { Cancelled: "Canceled", Ok: "OK" };

/** A call that did not end well; `message` is the status' text alone. */
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

  /** As Go's clients word it, which people search for: `rpc error: code = NotFound desc = no such volume`. */
  get description(): string {
    return `rpc error: code = ${grpcCodeName(this.code)} desc = ${this.message}`;
  }
}
