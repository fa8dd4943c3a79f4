// SPDX-License-Identifier: Apache-2.0

// Command hello prints one line, as `strata version` does.
package main

import "fmt"

func main() { fmt.Println("hello, world") }
