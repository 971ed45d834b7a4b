package ws

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkEcho has 16 connections, each with so many messages of 64 bytes in flight.
func BenchmarkEcho(b *testing.B) {
	for _, inFlight := range []int{1, 16} {
		b.Run(fmt.Sprintf("inflight=%d", inFlight), func(b *testing.B) {
			const conns = 16
			s := serve(b, Config{MaxConnsPerAddress: -1}, Options{})
			out := bytes.Repeat(frame(finBinary, strings.Repeat("x", 64)), inFlight)
			peers := make([]*peer, conns)
			for i := range peers {
				peers[i] = s.upgraded("")
			}
			var left atomic.Int64
			left.Store(int64(b.N))
			cpu := cpuSeconds()
			b.ResetTimer()
			var wg sync.WaitGroup
			for _, p := range peers {
				wg.Go(func() {
					in := make([]byte, 66*inFlight)
					for left.Add(-int64(inFlight)) > -int64(inFlight) {
						p.send(out)
						if _, err := io.ReadFull(p.Conn, in); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			b.ReportMetric((cpuSeconds()-cpu)*1e6/float64(b.N), "cpu-us/msg")
		})
	}
}

// BenchmarkBareEcho is the same client against sockets that send back what they read: what the kernel and the client cost.
func BenchmarkBareEcho(b *testing.B) {
	for _, inFlight := range []int{1, 16} {
		b.Run(fmt.Sprintf("inflight=%d", inFlight), func(b *testing.B) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			var wg sync.WaitGroup
			b.Cleanup(func() { _ = ln.Close(); wg.Wait() })
			wg.Go(func() {
				for {
					c, err := ln.Accept()
					if err != nil {
						return
					}
					wg.Go(func() { _, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}); _ = c.Close() })
				}
			})
			out := bytes.Repeat([]byte("x"), 66*inFlight)
			cpu := cpuSeconds()
			var left atomic.Int64
			left.Store(int64(b.N))
			var clients sync.WaitGroup
			for range 16 {
				c, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				clients.Go(func() {
					in := make([]byte, len(out))
					for left.Add(-int64(inFlight)) > -int64(inFlight) {
						_, _ = c.Write(out)
						_, _ = io.ReadFull(c, in)
					}
					_ = c.Close()
				})
			}
			clients.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			b.ReportMetric((cpuSeconds()-cpu)*1e6/float64(b.N), "cpu-us/msg")
		})
	}
}

// BenchmarkFanOut sends bursts of 64 bytes to a room of 1,000; an op is one broadcast, and rounds of 50 wait for all members.
func BenchmarkFanOut(b *testing.B) {
	const members = 1000
	s := serve(b, Config{MaxConnsPerAddress: -1}, Options{})
	var wg sync.WaitGroup
	b.Cleanup(wg.Wait)
	arrived := make(chan struct{}, members)
	var target atomic.Int64
	for range members {
		p := s.upgraded("")
		wg.Go(func() {
			buf := make([]byte, 16<<10)
			got, round := int64(0), int64(1)
			for {
				n, err := p.Read(buf)
				if err != nil {
					return
				}
				got += int64(n)
				for t := target.Load(); t > 0 && got >= t*round; round++ {
					arrived <- struct{}{}
				}
			}
		})
		b.Cleanup(func() { _ = p.Close() })
	}
	m := Message{Binary, bytes.Repeat([]byte("x"), 64)}
	for _, burst := range []int{50} {
		target.Store(int64(burst * 66))
		b.ResetTimer()
		cpu, n := cpuSeconds(), 0
		for b.Loop() {
			if _, err := s.scope().Broadcast(Room{}, m); err != nil {
				b.Fatal(err)
			}
			if n++; n%burst == 0 {
				for range members {
					<-arrived
				}
			}
		}
		b.ReportMetric(float64(n*members)/b.Elapsed().Seconds(), "deliveries/s")
		b.ReportMetric((cpuSeconds()-cpu)*1e6/float64(n*members), "cpu-us/delivery")
	}
}

// BenchmarkIdleMemory reports what an idle connection holds, with about 0.5 KiB for the client's side of it, which lives in this process.
func BenchmarkIdleMemory(b *testing.B) {
	const conns = 2000
	for b.Loop() {
		s := serve(b, Config{MaxConnsPerAddress: -1}, Options{})
		peers := make([]*peer, 0, conns)
		before := inUse()
		for range conns {
			p := s.upgraded("")
			p.r = nil
			peers = append(peers, p)
		}
		eventually(b, "all open", func() bool { return s.scope().Count(Room{}) == conns })
		b.ReportMetric(float64(inUse()-before)/conns/1024, "KiB/conn")
		for _, p := range peers {
			_ = p.Close()
		}
		if err := s.hub.Drain(context.Background(), GoingAway, ""); err != nil {
			b.Fatal(err)
		}
	}
}

func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// BenchmarkDecode takes messages of 1 KiB apart.
func BenchmarkDecode(b *testing.B) {
	in := frame(finText, strings.Repeat("text and ", 114)[:1024])
	buf := make([]byte, len(in))
	d := decoder{maxBytes: 1 << 20}
	b.SetBytes(1024)
	b.ReportAllocs()
	for b.Loop() {
		copy(buf, in)
		if _, ev, err := d.next(buf); err != nil || ev.op != opText {
			b.Fatal(err)
		}
	}
}
