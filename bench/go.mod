module github.com/odac-run/odachost/bench

go 1.26.0

require github.com/odac-run/odachost v0.0.0

replace github.com/odac-run/odachost => ../
