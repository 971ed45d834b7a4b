module github.com/odac-run/odachost/bench

go 1.26.0

require github.com/odac-run/odachost v0.0.0

require github.com/extism/go-pdk v1.1.3 // indirect

replace github.com/odac-run/odachost => ../
