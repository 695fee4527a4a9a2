#!/usr/bin/env bash
# Every measurement of speed, on a machine with a GPU, each a JSON in a folder:
#
#     bash benchmarks/gpu.sh [folder] [minutes]
#
# What says most comes first, and a run that is cut off keeps what it printed. PYTHON is
# the Python that has TensorFlow, PYTORCH_PYTHON the one that has PyTorch; both are
# python3 if not given.
set -u
folder=${1:-benchmarks/gpu} end=$((SECONDS + 60 * ${2:-14}))
python=${PYTHON:-python3} pytorch=${PYTORCH_PYTHON:-python3}
mkdir -p "$folder"

measure() {
    local name=$1 script=$2 left=$((end - SECONDS))
    shift 2
    if ((left < 20)); then echo "== $name: no time left"; return; fi
    echo "== $name"
    timeout "$left" "$python" "benchmarks/$script" --output="$folder/$name.json" "$@" ||
        echo "== $name ended with status $?"
}

measure vs_pytorch vs_pytorch.py --batch_size=512 --rounds=20 \
    --pytorch_python="$pytorch"
measure step_time_xla step_time.py --parts=time --xla --encoders=resnet18 \
    --large_batch_sizes=512 --rounds=20
measure step_time step_time.py --parts=time --encoders=resnet18 \
    --large_batch_sizes=512 --rounds=20
measure jit step_time.py --parts=jit --batch_sizes=256
measure input_pipeline input_pipeline.py --tables=steps --policy=mixed_bfloat16 \
    --rounds=3
measure augmentation augmentation.py --rounds=3 --seconds=0.3
