/** What rests under a key service's key cannot be read or written as long as the service does not serve. */
export class KeyServiceError extends Error {
  override readonly name = "KeyServiceError";
}
