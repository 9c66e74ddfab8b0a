/** A text without those of one character at its end. A pattern such as /x+$/ begins at every x anew, which takes minutes over
 *  a text that somebody has made long. */
export function trimEnd(text: string, character: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === character) end -= 1;
  return text.slice(0, end);
}
